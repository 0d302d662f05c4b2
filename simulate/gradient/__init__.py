"""Loss, exact gradient and rollouts: one interface, in data, and two engines, grouped and fused."""

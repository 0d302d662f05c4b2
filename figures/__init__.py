"""The paper's figures and ours, drawn from run files in one style.

Each figure is a module: ``paper`` holds those of the paper, ``beyond`` ours. Each is a pure
function of run files that returns a picture, a caption and numbers. ``measurements`` works out
what they show, without drawing. ``batches`` says what is trained, ``make_runs`` trains it, and
``catalogue`` lists all figures.
"""

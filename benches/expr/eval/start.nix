# What starting costs: subtracted from the others.
null

"""Who may charge how fast? Currents per car and phase that keep every circuit below its limit; usable on its own.

problem     what is asked: Horizon, CircuitLimit, ChargingNeed, Problem; and answered: Allocation, Reason
solve       the plan of a linear program, or a fair share when there is no time
share       max-min fair currents without a solver: the answer for every meter reading
realize     any wanted currents -> currents that stations can be told
check       violations(problem, allocation): the judge, written apart from everything it judges
explain     what binds each car, in plain English
program     Problem -> rows and columns of the linear program; objectives: what an ampere is worth in it
level       like cars are treated alike: the even one of equally good plans
worth       what a Wh is worth to each car in each block when prices count; surplus and peak: the rows that come with them
arbitrage   a second program: when is it worth giving energy back? feed_in: what may be; money: what a plan costs
demand      which peak will a billing period turn out to be worth? Guessed by the days that have ended
rows        which car loads which circuit and phase

Nothing is imported here, so that `optimizer.problem` stays cheap; only `optimizer.solve` loads the solver.
"""

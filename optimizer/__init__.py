"""Who may charge how fast? Currents per car and phase that keep every circuit below its limit; usable on its own.

Start with `problem`, `solve` and `check`; docs/optimizer.md shows how. A module imports only what stands above it here.

The question
    problem          what is asked: Horizon, CircuitLimit, ChargingNeed, Problem; and answered: Allocation, Reason
    wiring           cars between two phases, and behind a transformer, as `ChargingNeed.wires`
    objectives       what the site is run for: OBJECTIVES, and what an ampere is worth by each
    check            violations(problem, allocation): the judge, written apart from everything it judges

The same in numbers
    arrays           kinds of arrays
    rows             which car loads which circuit and phase, and how much it may draw
    tangents         a limit on the length of a phasor as rows
    surplus          one circuit more, for cars that take nothing but surplus
    feed_in          who may give energy back, and how much
    money            what a plan costs
    manners          the steps, the least current and the turn of each car

The linear program
    worth            what a Wh is worth to each car in each block
    linear           columns, rows and what stands where they meet
    program          Problem -> linear program
    highs            linear program -> its best, by HiGHS

Currents that stations can be told
    wire_steps       steps where loads are out of phase
    realize          any wanted currents -> currents that stations can be told
    level            like cars are treated alike: the even one of equally good plans
    priced_rounding  how far rounding may fill up where energy has a price

Reasons in plain English
    explain_cost     prices and the peak
    explain_back     why energy is given back, or why not
    explain          what binds each car

Answers
    share            max-min fair currents without a solver: for every meter reading, and when there is no time
    newcomers        what cars that are yet to come change
    storage          the cheapest way to use what batteries hold: a second linear program
    arbitrage        the plan in which cars give energy back, where that costs less
    solve            the plan of the linear program, or a fair share

What visits and readings tell
    draw             what a car takes of what it is told
    habits           how long cars stay and what they want
    demand           which peak a billing period will turn out to be worth
    acn              the sites of the Adaptive Charging Network's simulators

Nothing is imported here, so that `optimizer.problem` stays cheap; only `highs` loads the solver.
"""

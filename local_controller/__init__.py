"""Which words does the gateway speak?

Frame             one OCPP-J message with its verbatim text: CALL, CALLRESULT, CALLERROR, CALLRESULTERROR, SEND
RpcConnection     the state of one OCPP-J connection, in both directions (Part 4 ch. 4)
Dialect           a version's payloads in our words: OCPP 1.6, 2.0.1, 2.1
StationProxy      one station, down to it and up to its CSMS (the standard's Local Controller topology, Part 4 §6.2)
Block             the part that understands one functional block of OCPP; relaying is the default
Schedule          a stepwise limit in amperes per phase over absolute time
ChargingProfile   a limit with purpose, stack level and kind; what applies at an instant is the composite schedule
Limit             a bound at a node of the electrical tree, with its source and its end
Node              a place with a fuse: the grid connection or a circuit
EVSE              a place where one car charges; in 1.6 every connector is one
Fallback          what a station draws by itself when nobody controls it (failsafe layer L1)
Working limit     what a running transaction may draw until it ends or is renewed (failsafe layer L2)
Exposure          the worst case of what an EVSE may be drawing just now
Base load         what a meter reads less what the cars below it draw
SiteController    facts in, limits out, for the whole site
Problem           what is asked of the optimizer; Allocation is its answer
Effect            a value that says what the shell must do
"""

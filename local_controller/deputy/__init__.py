"""Who answers a station while its CSMS is away, and hands over afterwards what was said meanwhile? Pure: no clock, no I/O.

The deputy stands between a station's proxy and its CSMS, so the proxy goes on as if the CSMS were there (decision 0034).

| word | what |
|---|---|
| deputy | who answers for the CSMS of one station, and later speaks to it in the station's name |
| entry | a message that the CSMS has yet to get, as the journal keeps it |
| backlog | the entries of one station in the order in which the CSMS gets them |
| provisional id | the transaction id of a start of 1.6 that the CSMS has not heard of yet |
"""

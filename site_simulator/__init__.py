"""A whole charging site in sockets: stations, cars, fuses, meter, CSMS and grid operator, in compressed time.

The gateway under test is a stranger here: nothing of it is imported, everything goes over OCPP, Modbus TCP and MQTT.
The protocol peers are third-party code (`ocpp`, `websockets`, `pymodbus`, `paho`), so that both ends cannot share a
misunderstanding.

vehicle, profiles, installed, outlet, readings, site   what is: physics and the station's firmware, without any I/O
wire, peer, words, station, station_v16, station_v2x   the stations' side of OCPP
csms, meter                                            the other sockets
demo_site, scenario, __main__                          which site, how it runs, how it is started
clock                                                  compressed time, usable by other processes too
"""

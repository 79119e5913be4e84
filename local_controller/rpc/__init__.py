"""How do messages travel on one OCPP-J connection? Pure: no sockets, no clock, no idea of charging."""

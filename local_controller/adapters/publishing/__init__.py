"""What does the gateway tell over MQTT? Its own tree of topics, and how Home Assistant finds it."""

"""What would happen at a site on such days? Cars that come and go, batteries, rules of thumb, and a loop in steps of five minutes."""

"""What a driver fulfils and what the daemon does with it: contracts, transports, supervision."""

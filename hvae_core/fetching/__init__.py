"""One file from a server or the Hub: resumed, verified, bounded."""

"""A Coinbase Advanced Trade one can break: REST and WebSocket on the wire, over the matching core of `bot.venue`.

`with Simulator(config) as sim` starts one in process (server.py), `python -m simulator` as a process of its own. Behind
the wire stands one `World` (world.py): venue, market and trading clock, owned by one event loop. Markets live in
`markets/`, REST endpoints in `rest/`; http.py, ws.py and control.py are the doors; faults.py says what can go wrong.
"""

"""A small WebRTC peer of the tool's own: STUN, ICE, DTLS, SRTP, RTP. Shares no code with any server it looks at.

Everything but ``shell`` is free of sockets, tasks and clocks: datagrams and the time go in, datagrams come out.
"""

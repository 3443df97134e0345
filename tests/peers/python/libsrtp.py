#!/usr/bin/env python3
"""libsrtp behind a pipe: sessions with a name, packets in hexadecimal, an answer a line.

    open NAME SUITE in|out KEY      KEY is master key and salt
    NAME protect|unprotect|protect_rtcp|unprotect_rtcp PACKET
"""

import sys

from pylibsrtp import Error, Policy, Session

PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
}
WAYS = {"in": Policy.SSRC_ANY_INBOUND, "out": Policy.SSRC_ANY_OUTBOUND}

sessions = {}
for line in sys.stdin:
    first, *rest = line.split()
    try:
        if first == "open":
            name, suite, way, key = rest
            policy = Policy(key=bytes.fromhex(key), ssrc_type=WAYS[way], srtp_profile=PROFILES[suite])
            sessions[name] = Session(policy=policy)
            answer = "open"
        else:
            verb, packet = rest
            answer = getattr(sessions[first], verb)(bytes.fromhex(packet)).hex()
    except Error as error:
        answer = f"! {error}"
    print(answer, flush=True)

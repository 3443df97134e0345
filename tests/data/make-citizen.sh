#!/bin/sh
# Makes citizen-fr.wav, what the citizen of the demonstration says after the
# beep. Needs Debian's espeak-ng and sox. Run once, by hand; the result is
# committed, so that the demonstration needs neither.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

text="Bonjour, ici Camille Martin. Le lampadaire devant le douze, rue des Lilas, est en panne depuis lundi. La rue est très sombre. Merci de me rappeler."

espeak-ng -v fr+f3 -s 165 -p 60 -w "$work/spoken.wav" "$text"
# Telephone band, one steady level, no dither (two runs give the same bytes);
# A-law, 8 kHz, mono: what goes into the RTP packets as it is.
sox -D "$work/spoken.wav" -t wav -r 8000 -c 1 -e a-law citizen-fr.wav \
    sinc 200-3500 norm -3 silence 1 0.05 0.3% reverse silence 1 0.05 0.3% reverse
sox --i citizen-fr.wav

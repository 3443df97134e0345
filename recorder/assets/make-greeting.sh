#!/bin/sh
# Makes greeting-fr.wav, the spoken default greeting that is built into voxea.
# Needs Debian's espeak-ng and sox. Run once, by hand; the result is committed,
# so that a build needs neither. The voice is espeak-ng's own (GPL-3.0-or-later).
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

text="Bonjour. Vous êtes bien à la mairie. Votre message va être enregistré. Pour refuser l'enregistrement, tapez neuf. Veuillez parler après le bip."

espeak-ng -v fr -s 155 -p 40 -w "$work/spoken.wav" "$text"
# Telephone band, one steady level, no dither (so that two runs give the same
# bytes), a short pause before the beep; A-law as in the European network.
sox -D "$work/spoken.wav" -t wav -r 8000 -c 1 -e a-law greeting-fr.wav \
    sinc 200-3500 norm -3 silence 1 0.05 0.3% pad 0.2 0.3
sox --i greeting-fr.wav

#!/bin/sh
# Takes the emulator's snapshots from its clips, whose card says what they are. Needs: ffmpeg.
set -eu
cd "$(dirname "$0")"

# name width height
picture() {
    ffmpeg -v error -y -ss 1 -i "../../media/clips/$1.flv" -frames:v 1 -vf "scale=$2:$3" -map_metadata -1 -bitexact -q:v 8 "$1.jpg"
}

picture main 320 180
picture sub 160 90

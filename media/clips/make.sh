#!/bin/sh
# Makes the clips built into the emulator: a card with its name, a running counter and a sweeping bar; a soft beep each second.
# Eight seconds are a whole number of GOPs (1 s), of video frames (15 and 10 a second) and of AAC frames (64 ms), so a loop
# is seamless. Needs: ffmpeg with libx264 (5.1 or newer), fonts-dejavu-core.
set -eu
cd "$(dirname "$0")"
font=/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# name width height fps label video_kbit audio_kbit
clip() {
    text="fontfile=$font:fontcolor=white:box=1:boxcolor=black:boxborderw=$(($3 / 45)):x=(w-tw)/2"
    # Cut from the raw AAC so that the encoder's priming frame does not shift the timestamps.
    ffmpeg -v error -y -f lavfi -i "aevalsrc='0.1*sin(440*2*PI*t)*between(mod(t,1),0.1,0.3)':s=16000:d=9" \
        -ac 1 -c:a aac -flags:a +bitexact -b:a "${7}k" -frames:a 125 -f adts "$scratch/tone.aac"
    ffmpeg -v error -y -f lavfi -i "smptehdbars=s=$2x$3:r=$4:d=8" -f lavfi -i "color=white:s=$(($2 / 40))x$(($3 / 6)):r=$4:d=8" \
        -i "$scratch/tone.aac" -filter_complex "[0][1]overlay=x='mod(t,4)/4*W':y=H*0.62,
            drawtext=$text:fontsize=$(($3 / 9)):y=h*0.18:text='IVT emulator $5',
            drawtext=$text:fontsize=$(($3 / 7)):y=h*0.36:text='%{eif\:trunc(t)\:d}.%{eif\:trunc(mod(t*10\,10))\:d} s  %{eif\:n\:d\:3}',
            format=yuv420p[v]" \
        -map '[v]' -map 2:a \
        -c:v libx264 -threads 1 -preset veryslow -profile:v main -bf 0 -g "$4" -keyint_min "$4" -sc_threshold 0 \
        -b:v "${6}k" -maxrate "${6}k" -bufsize "$(($6 * 2))k" -bsf:v filter_units=remove_types=6 \
        -c:a copy -fflags +bitexact -flags:v +bitexact -flvflags no_duration_filesize+no_sequence_end -f flv "$1.flv"
}

clip main 640 360 15 main 100 32
clip sub 320 180 10 sub 34 16

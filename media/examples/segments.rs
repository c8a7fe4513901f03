//! Cuts an FLV clip, looped, into segments faster than real time:
//! `segments CLIP.flv FOLDER COUNT SECONDS`.
//!
//! Writes `FOLDER/000.ts` and so on. Prints the name and the duration of each, then how many
//! pictures and pieces of sound are in all of them.

use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use ivt_media::clip::ClipOpener;
use ivt_media::segment::{Limits, SegmentEvent, Segmenter};
use ivt_media::source::Opener as _;

const MAX_BYTES: u64 = 16 << 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [clip, folder, count, seconds] = &arguments[..] else {
        return Err("usage: segments CLIP.flv FOLDER COUNT SECONDS".into());
    };
    let duration = Duration::try_from_secs_f64(seconds.parse()?)?;
    let count: usize = count.parse()?;
    let name = |number: usize| format!("{number:03}.ts");
    let create = |number| File::create(Path::new(folder).join(name(number)));

    let mut source = ClipOpener::file(clip).unpaced().open().await?;
    let mut segmenter = Segmenter::new(Limits { duration, max_bytes: MAX_BYTES });
    let (mut done, mut pushed) = (0, [0u64; 2]);
    let mut file = create(0)?;
    while done < count {
        let frame = source.frame().await?;
        segmenter.push(&frame);
        while let Some(cut) = segmenter.poll() {
            match cut {
                SegmentEvent::Group(group) => {
                    group.chunks.iter().try_for_each(|chunk| file.write_all(chunk))?
                }
                SegmentEvent::End(end) => {
                    println!("{} {:.6}", name(done), end.duration.as_secs_f64());
                    done += 1;
                    if done < count {
                        file = create(done)?;
                    }
                }
            }
        }
        if done < count {
            pushed[usize::from(frame.is_video())] += 1;
        }
    }
    let [sounds, pictures] = pushed;
    println!("{pictures} pictures, {sounds} sounds");
    Ok(())
}

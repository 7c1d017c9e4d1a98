use std::sync::Arc;

use jobtracker_model::live::{Frame, Position, ServerFrame};

/// A frame as text, without the number of the subscription: so it is written once for all who get
/// it.
#[derive(Debug, Clone)]
pub(super) struct Text(Arc<str>);

/// Something to tell, and the position that the client knows by it.
pub(super) type Told = (Text, Option<Position>);

impl Text {
    pub fn of(frame: &Frame) -> Self {
        let whole = write(frame);
        Self(whole.strip_prefix('{').unwrap_or(&whole).into())
    }

    /// A snapshot without rows, with these rows, each as JSON.
    pub fn with_rows(frame: &Frame, rows: &[String]) -> Self {
        /// How a snapshot without rows ends.
        const END: &str = "\"rows\":[]}";
        let whole = write(frame);
        let begin = whole.strip_suffix(END).expect("the last field of a snapshot is its rows");
        let begin = begin.strip_prefix('{').unwrap_or(begin);
        Self(format!("{begin}\"rows\":[{}]}}", rows.join(",")).into())
    }

    /// The whole frame for one subscription.
    pub fn with(&self, sub: u32) -> String {
        format!("{{\"sub\":{sub},{}", self.0)
    }

    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// A frame as text.
pub(super) fn write_whole(sub: Option<u32>, frame: Frame) -> String {
    write(&ServerFrame { sub, frame })
}

pub(super) fn write(frame: &impl serde::Serialize) -> String {
    serde_json::to_string(frame).expect("frames are made of texts and numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_for_all_is_the_frame_for_one() {
        for frame in [Frame::Pong, Frame::Mark { at: Some(Position::new(7, 1)) }] {
            let text = Text::of(&frame).with(3);
            let read: ServerFrame = serde_json::from_str(&text).unwrap();
            assert_eq!(read, ServerFrame { sub: Some(3), frame: frame.clone() });
            assert_eq!(text, write_whole(Some(3), frame));
        }
    }
}

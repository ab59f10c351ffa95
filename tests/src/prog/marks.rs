//! The marks of what has changed in the flow table.

use anyhow::Result;
use lb_common::{
    flow_table::{ChangeMarks, MARKS},
    map,
};

use super::Program;

impl Program {
    /// The buckets that were marked as changed since this was asked last, in order.
    ///
    /// # Errors
    /// When the map cannot be read or written.
    pub fn take_marks(&mut self) -> Result<Vec<u32>> {
        let mut map = self.array::<ChangeMarks>(map::CHANGES)?;
        let mut marked = Vec::new();
        for index in 0..map.len() {
            let ChangeMarks(marks) = map.get(&index, 0)?;
            let set = marks.iter().zip(index * MARKS as u32..).filter(|(mark, _)| **mark != 0);
            marked.extend(set.map(|(_, bucket)| bucket));
            map.set(index, ChangeMarks([0; MARKS]), 0)?;
        }
        Ok(marked)
    }
}

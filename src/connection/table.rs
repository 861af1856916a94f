//! The table of connections: slots with generations, so that a late completion meets nobody else.

use super::Connection;

/// A slot and its generation at the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    pub slot: u32,
    pub generation: u32,
}

/// Generations have this many bits in a token.
pub const GENERATION_MASK: u32 = 0x00ff_ffff;

#[derive(Default)]
pub struct Table {
    slots: Vec<(u32, Option<Box<Connection>>)>,
    free: Vec<u32>,
    count: usize,
}

impl Table {
    pub const fn len(&self) -> usize {
        self.count
    }

    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn insert(&mut self, connection: Connection) -> ConnectionId {
        self.count += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            u32::try_from(self.slots.len() - 1).expect("descriptors are fewer")
        });
        let (generation, place) = &mut self.slots[slot as usize];
        *generation = (*generation + 1) & GENERATION_MASK;
        *place = Some(Box::new(connection));
        ConnectionId { slot, generation: *generation }
    }

    pub fn find(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let (generation, connection) = self.slots.get_mut(id.slot as usize)?;
        (*generation == id.generation).then_some(connection.as_deref_mut()?)
    }

    pub fn remove(&mut self, id: ConnectionId) -> Option<Box<Connection>> {
        self.find(id)?;
        let connection = self.slots.get_mut(id.slot as usize)?.1.take();
        self.free.push(id.slot);
        self.count -= 1;
        connection
    }

    /// Everyone who is there now.
    pub fn collect_ids(&self, into: &mut Vec<ConnectionId>) {
        into.clear();
        into.extend((0u32..).zip(&self.slots).filter_map(|(slot, (generation, connection))| {
            connection.as_ref().map(|_| ConnectionId { slot, generation: *generation })
        }));
    }
}

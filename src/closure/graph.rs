//! Flat directed graphs: adjacency in two arrays, strongly connected components, and the order that puts parents first.
//!
//! Guarantees that nothing recurses and that memory is a few arrays of 32-bit numbers. Refuses (panics on) an arc to a
//! vertex that does not exist.
//!
//! Sources: R. Tarjan, "Depth-first search and linear graph algorithms", SIAM J. Comput. 1 (1972), in the form of
//! D. Pearce, "A space-efficient algorithm for finding strongly connected components", Inf. Process. Lett. 116 (2016),
//! which needs one number per vertex where Tarjan's needs three; A. Kahn, "Topological sorting of large networks",
//! CACM 5 (1962).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::NONE;

/// A directed graph as compressed rows: 4 bytes per vertex and 4 per arc.
#[derive(Debug)]
pub(super) struct Arcs {
    starts: Vec<u32>,
    heads: Vec<u32>,
}

impl Arcs {
    /// Collects arcs `(tail, head)`; the heads of a tail keep the order in which they came. Heads may be any numbers.
    ///
    /// The arcs are gone through twice, which is cheaper than keeping a copy to sort.
    pub(super) fn new(vertices: u32, arcs: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        // One entry ahead: while arcs are placed, entry v + 1 moves from the start of v to its end, the start of v + 1.
        let mut starts = vec![0_u32; vertices as usize + 2];
        let mut count = 0_u32;
        for (tail, _) in arcs.clone() {
            assert!(count < u32::MAX, "too many references");
            count += 1;
            starts[tail as usize + 2] += 1;
        }
        for vertex in 1..starts.len() {
            starts[vertex] += starts[vertex - 1];
        }
        let mut heads = vec![0; count as usize];
        for (tail, head) in arcs {
            let place = &mut starts[tail as usize + 1];
            heads[*place as usize] = head;
            *place += 1;
        }
        starts.pop();
        Self { starts, heads }
    }

    /// Sorts each vertex's heads and drops repeated ones, in place.
    pub(super) fn unique(mut self) -> Self {
        let (mut start, mut kept) = (0, 0);
        for vertex in 0..self.vertices() as usize {
            let end = self.starts[vertex + 1] as usize;
            self.heads[start..end].sort_unstable();
            self.starts[vertex] = kept as u32;
            let first = kept;
            for at in start..end {
                let head = self.heads[at];
                if kept == first || self.heads[kept - 1] != head {
                    self.heads[kept] = head;
                    kept += 1;
                }
            }
            start = end;
        }
        if let Some(end) = self.starts.last_mut() {
            *end = kept as u32;
        }
        self.heads.truncate(kept);
        self
    }

    /// The two arrays: where a vertex's heads begin (one entry more than vertices), and the heads.
    pub(super) fn into_parts(self) -> (Vec<u32>, Vec<u32>) {
        (self.starts, self.heads)
    }

    /// The number of vertices.
    pub(super) fn vertices(&self) -> u32 {
        (self.starts.len() - 1) as u32
    }

    /// The heads of a vertex's arcs.
    pub(super) fn of(&self, vertex: u32) -> &[u32] {
        let start = self.starts[vertex as usize] as usize;
        let end = self.starts[vertex as usize + 1] as usize;
        &self.heads[start..end]
    }
}

/// The strongly connected components of a graph.
#[derive(Debug)]
pub(super) struct Components {
    /// Per vertex its component, [`NONE`] where the vertex was not asked for. A component that others have arcs to has
    /// a smaller number than they have.
    pub(super) of: Vec<u32>,
    /// How many there are.
    pub(super) count: u32,
}

impl Components {
    /// Numbers the components by their smallest vertices, giving up the order of arcs.
    pub(super) fn by_smallest_vertex(mut self) -> Self {
        let mut renumbered = vec![NONE; self.count as usize];
        let mut next = 0;
        for component in self.of.iter_mut().filter(|component| **component != NONE) {
            let number = &mut renumbered[*component as usize];
            if *number == NONE {
                *number = next;
                next += 1;
            }
            *component = *number;
        }
        self
    }
}

/// Finds the components of all that can be reached from the vertices asked for.
pub(super) fn components(arcs: &Arcs, asked: impl Fn(u32) -> bool) -> Components {
    let mut search = Search {
        arcs,
        rindex: vec![0; arcs.vertices() as usize],
        next_index: 1,
        found: 0,
        trail: Vec::new(),
        waiting: Vec::new(),
    };
    for vertex in 0..arcs.vertices() {
        if search.rindex[vertex as usize] == 0 && asked(vertex) {
            search.visit(vertex);
        }
    }
    let Search {
        rindex: mut of,
        found: count,
        ..
    } = search;
    for entry in &mut of {
        *entry = if *entry == 0 { NONE } else { NONE - *entry };
    }
    Components { of, count }
}

/// A depth-first search in progress.
struct Search<'a> {
    arcs: &'a Arcs,
    /// 0: not seen. Up to the number of vertices: seen, the smallest index reached so far. From the top down: done, and
    /// `NONE` minus the component. Open vertices and finished components together never outnumber the vertices, so the
    /// two ends do not meet.
    rindex: Vec<u32>,
    next_index: u32,
    found: u32,
    trail: Vec<Step>,
    /// Done, but in the component of a vertex that is still on the trail.
    waiting: Vec<u32>,
}

/// A vertex on the trail: the arc to follow next, and the index it was given.
struct Step {
    vertex: u32,
    arc: u32,
    index: u32,
}

impl Search<'_> {
    fn visit(&mut self, from: u32) {
        self.enter(from);
        while let Some(step) = self.trail.last_mut() {
            let vertex = step.vertex as usize;
            if step.arc < self.arcs.starts[vertex + 1] {
                let head = self.arcs.heads[step.arc as usize];
                match self.rindex[head as usize] {
                    // The arc is looked at again when its head is done.
                    0 => self.enter(head),
                    reached => {
                        step.arc += 1;
                        self.rindex[vertex] = self.rindex[vertex].min(reached);
                    }
                }
            } else {
                let (vertex, index) = (step.vertex, step.index);
                self.trail.pop();
                self.leave(vertex, index);
            }
        }
    }

    fn enter(&mut self, vertex: u32) {
        self.rindex[vertex as usize] = self.next_index;
        self.trail.push(Step {
            vertex,
            arc: self.arcs.starts[vertex as usize],
            index: self.next_index,
        });
        self.next_index += 1;
    }

    fn leave(&mut self, vertex: u32, index: u32) {
        if self.rindex[vertex as usize] < index {
            self.waiting.push(vertex);
            return;
        }
        let done = NONE - self.found;
        while let Some(&other) = self.waiting.last()
            && self.rindex[other as usize] >= index
        {
            self.rindex[other as usize] = done;
            self.waiting.pop();
            self.next_index -= 1;
        }
        self.rindex[vertex as usize] = done;
        self.next_index -= 1;
        self.found += 1;
    }
}

/// Puts vertices in an order in which every arc's tail comes before its head, the smallest number first wherever there
/// is a choice. Arcs lead from parent to child; vertices on a circle would be left out.
pub(super) fn parents_first(children: &Arcs) -> Vec<u32> {
    let mut missing = vec![0_u32; children.vertices() as usize];
    for &child in &children.heads {
        missing[child as usize] += 1;
    }
    let mut ready: BinaryHeap<Reverse<u32>> = (0..children.vertices())
        .filter(|&vertex| missing[vertex as usize] == 0)
        .map(Reverse)
        .collect();
    let mut order = Vec::with_capacity(missing.len());
    while let Some(Reverse(vertex)) = ready.pop() {
        order.push(vertex);
        for &child in children.of(vertex) {
            missing[child as usize] -= 1;
            if missing[child as usize] == 0 {
                ready.push(Reverse(child));
            }
        }
    }
    order
}

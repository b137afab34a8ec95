package metrics

import (
	"cmp"
	"slices"
)

// table is the points of one row group of the sealed form, a Parquet file, in
// columns. Each row group holds a range of the points in the order of Read, so
// that both writing and reading take the memory of one group, and within it the
// points of one metric are contiguous.
type table struct {
	writers []string
	series  []*series
	of      []int32 // of each point, the place in series
	by      []int32 // of each point, the place in writers
	seqs    []int64
	steps   []int64
	times   []int64
	bits    []uint64
	blobs   map[int][]byte // by row, of the points that have one
	after   map[int]int64  // by row, of the points that are earlier than one their writer has logged before
	size    int            // of the blobs

	seriesOf map[*series]int32
	idOf     map[series]int32
	writerOf map[string]int32
}

func newTable() *table {
	return &table{blobs: map[int][]byte{}, after: map[int]int64{}, seriesOf: map[*series]int32{}, idOf: map[series]int32{},
		writerOf: map[string]int32{}}
}

func (t *table) rows() int { return len(t.of) }

func (t *table) full(l *limits) bool { return t.rows() >= l.groupRows || t.size >= l.groupBytes }

// reset empties the table and keeps its memory.
func (t *table) reset() {
	t.writers, t.series = t.writers[:0], t.series[:0]
	t.of, t.by, t.seqs, t.steps, t.times, t.bits = t.of[:0], t.by[:0], t.seqs[:0], t.steps[:0], t.times[:0], t.bits[:0]
	t.size = 0
	clear(t.blobs)
	clear(t.after)
	clear(t.seriesOf)
	clear(t.idOf)
	clear(t.writerOf)
}

// add appends a point. latest is the greatest time of its writer's points so
// far.
func (t *table) add(e *entry, writer string, latest int64) {
	row := t.rows()
	t.of, t.by = append(t.of, t.seriesID(e.series)), append(t.by, t.writerID(writer))
	t.seqs, t.steps = append(t.seqs, int64(e.seq)), append(t.steps, e.step)
	t.times, t.bits = append(t.times, e.time), append(t.bits, e.bits)
	if e.blob != nil {
		t.blobs[row] = slices.Clone(e.blob)
		t.size += len(e.blob)
	}
	if latest > e.time {
		t.after[row] = latest
	}
}

// seriesID finds the series, by its address first: each frame has its own.
func (t *table) seriesID(s *series) int32 {
	id, ok := t.seriesOf[s]
	if ok {
		return id
	}
	if id, ok = t.idOf[*s]; !ok {
		id = int32(len(t.series))
		t.series, t.idOf[*s] = append(t.series, s), id
	}
	t.seriesOf[s] = id
	return id
}

func (t *table) writerID(writer string) int32 {
	id, ok := t.writerOf[writer]
	if !ok {
		id = int32(len(t.writers))
		t.writers, t.writerOf[writer] = append(t.writers, writer), id
	}
	return id
}

// sorted gives the rows by name, those of one name in their order.
func (t *table) sorted() []int32 {
	names := make([]string, 0, len(t.series))
	for _, s := range t.series {
		names = append(names, s.name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	rank := make([]int, len(t.series))
	for i, s := range t.series {
		rank[i], _ = slices.BinarySearch(names, s.name)
	}
	place := make([]int, len(names)+1)
	for _, id := range t.of {
		place[rank[id]+1]++
	}
	for i := range names {
		place[i+1] += place[i]
	}
	out := make([]int32, t.rows())
	for row, id := range t.of {
		r := rank[id]
		out[place[r]] = int32(row)
		place[r]++
	}
	return out
}

// point gives a row as an entry.
func (t *table) point(row int, e *entry) {
	*e = entry{series: t.series[t.of[row]], seq: uint64(t.seqs[row]), step: t.steps[row], time: t.times[row], bits: t.bits[row]}
	e.blob = t.blobs[row]
}

// byWriter gives the rows of each writer by their numbers.
func (t *table) byWriter() map[string][]int32 {
	lists := make([][]int32, len(t.writers))
	for row, w := range t.by {
		lists[w] = append(lists[w], int32(row))
	}
	out := make(map[string][]int32, len(lists))
	for w, rows := range lists {
		out[t.writers[w]] = t.inOrder(rows)
	}
	return out
}

// inOrder sorts rows by number: when none is missing by putting each in its
// place, which takes one look at each.
func (t *table) inOrder(rows []int32) []int32 {
	first, last := t.seqs[rows[0]], t.seqs[rows[0]]
	for _, row := range rows {
		first, last = min(first, t.seqs[row]), max(last, t.seqs[row])
	}
	if last-first != int64(len(rows)-1) {
		slices.SortFunc(rows, func(a, b int32) int { return cmp.Compare(t.seqs[a], t.seqs[b]) })
		return rows
	}
	out := make([]int32, len(rows))
	for _, row := range rows {
		out[t.seqs[row]-first] = row
	}
	return out
}

package metrics

// SpoolPlace is how far a spool file was read, with all that reading on from
// there needs.
type SpoolPlace struct {
	// Number is the file's, among those of its writer.
	Number uint32
	// Salt is the file's own, by which it is known again.
	Salt uint64
	// Offset is where its next record begins.
	Offset int64
	// CRC is the checksum that the next record's goes on from.
	CRC uint32
	// Seq is the sequence number of the last point read.
	Seq uint64
	// Time is that of the last point, in nanoseconds since 1970.
	Time int64
	// Names are those defined up to there, in their order.
	Names []SpoolName
}

// SpoolName is a name that a spool file has defined.
type SpoolName struct {
	// Name is the metric's name.
	Name string
	// Kind is the code of its points' kind.
	Kind uint8
	// Type is the code of their values' type.
	Type uint8
	// Step is the last step.
	Step int64
}

// maxPlaceNames bounds the names in a place, which is kept with the run: a spool
// file with more is read from its beginning each time.
const maxPlaceNames = 500

// place gives how far the file was read, nil when it has too many names.
func (r *spoolReader) place() *SpoolPlace {
	if len(r.series) > maxPlaceNames {
		return nil
	}
	p := &SpoolPlace{Number: r.number, Salt: r.salt, Offset: r.off, CRC: r.crc, Seq: r.seq, Time: r.time, Names: make([]SpoolName, len(r.series))}
	for i, s := range r.series {
		p.Names[i] = SpoolName{Name: s.name, Kind: uint8(s.kind), Type: uint8(s.typ), Step: r.steps[i]}
	}
	return p
}

// resume goes on at the place if it is one in this file. Records are only ever
// added to a file, and the next one's checksum covers all before it.
func (r *spoolReader) resume(p *SpoolPlace) {
	if p.Number != r.number || p.Salt != r.salt || p.Offset < r.off {
		return
	}
	r.off, r.crc, r.seq, r.time = p.Offset, p.CRC, p.Seq, p.Time
	for _, n := range p.Names {
		r.series = append(r.series, &series{name: n.Name, kind: kindCode(n.Kind), typ: valueType(n.Type)})
		r.steps = append(r.steps, n.Step)
	}
}

package localfs

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
)

// origin says which file on which disk a position is in, and since which start
// of the machine. A journal is not synced, so its end may be lost when the
// machine stops, while the objects, which are synced, are not: positions from
// before say nothing. Where starts can't be told apart, positions are good in
// the process that made them. A copy of the file, such as in a copy of the
// folder or one that was restored from a backup, is another file: it need not
// be as old as the objects beside it. Where files can't be told apart, no
// position is good.
type origin [16]byte

// position is a place in one of the journal's files. A cursor is one.
type position struct {
	origin origin
	place
}

// place is a place in a file between two entries.
type place struct {
	offset int64
	crc    uint32 // the four bytes before it
}

// errUnknown says that a position is of another journal than is there.
var errUnknown = errors.New("this place of the journal is not known")

// thisBoot tells this start of the machine from others.
var thisBoot = sync.OnceValue(func() string { return cmp.Or(bootID(), rand.Text()) })

func originOf(j *journal) (o origin) {
	identity := cmp.Or(fileIdentity(j.f), rand.Text())
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%x", thisBoot(), identity, j.id))
	copy(o[:], sum[:])
	return o
}

const positionSize = len(origin{}) + 8 + crcSize

// String gives the position as a cursor.
func (p position) String() string {
	data := append(make([]byte, 0, positionSize), p.origin[:]...)
	data = binary.LittleEndian.AppendUint64(data, uint64(p.offset))
	data = binary.LittleEndian.AppendUint32(data, p.crc)
	return base64.RawURLEncoding.EncodeToString(data)
}

// parsePosition undoes String. Errors: errUnknown.
func parsePosition(cursor string) (position, error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(data) != positionSize {
		return position{}, errUnknown
	}
	var p position
	rest := data[copy(p.origin[:], data):]
	p.offset = int64(binary.LittleEndian.Uint64(rest))
	p.crc = binary.LittleEndian.Uint32(rest[8:])
	return p, nil
}

package record

import (
	"bytes"
	"fmt"
	"hash/crc32"

	"github.com/azml-go/azml"
)

// The checksum of a record or a line stands in it, so that one object holds
// both and can still be read by eye. It is made over the very bytes that are
// stored: a bit that changes anywhere, in a member this version doesn't know
// as well, is found.

// noSum stands in the place of the checksum while it is made.
const noSum = "00000000"

// What comes before the checksum. In texts line breaks and quotes are escaped,
// and members of objects in a record stand further to the right, so that it can
// only be the member that is meant.
var (
	sumOfRecord = []byte("\n  \"checksum\": \"")
	sumOfLine   = []byte(",\"checksum\":\"")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumPlace gives where the checksum behind member begins, false when there is
// none.
func sumPlace(data, member []byte) (int, bool) {
	i := bytes.Index(data, member)
	begin := i + len(member)
	return begin, i >= 0 && len(data) > begin+len(noSum) && data[begin+len(noSum)] == '"'
}

// sumOf gives the checksum of data, whose own checksum begins at i.
func sumOf(data []byte, i int) string {
	sum := crc32.Update(0, castagnoli, data[:i])
	sum = crc32.Update(sum, castagnoli, []byte(noSum))
	return fmt.Sprintf("%08x", crc32.Update(sum, castagnoli, data[i+len(noSum):]))
}

// seal puts the checksum into its place in data and gives it.
func seal(data, member []byte) string {
	i, ok := sumPlace(data, member)
	if !ok {
		return ""
	}
	sum := sumOf(data, i)
	copy(data[i:], sum)
	return sum
}

func checkSum(data, member []byte) error {
	i, ok := sumPlace(data, member)
	if !ok {
		return fmt.Errorf("%w: it has no checksum", azml.ErrDamaged)
	}
	if stored, sum := string(data[i:i+len(noSum)]), sumOf(data, i); stored != sum {
		return fmt.Errorf("%w: its checksum is %s, its bytes give %s: something else than azml has changed it", azml.ErrDamaged, stored, sum)
	}
	return nil
}

package files

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/azml-go/azml/backend/memory"
	"github.com/stretchr/testify/require"
)

// These values are the stored format. If one changes, stored manifests lose
// their IDs or new snapshots share nothing with old ones.
func TestGoldenBorders(t *testing.T) {
	t.Parallel()
	var sizes []int
	var b buffers
	err := b.cut(t.Context(), bytes.NewReader(noise(1, 12<<20)), func(c []byte) error {
		sizes = append(sizes, len(c))
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, goldenBorders, sizes)
}

var goldenBorders = []int{1372156, 1285071, 1377263, 1559641, 1584075, 1535136, 1290724, 1079489, 1007954, 491403}

func TestGoldenManifest(t *testing.T) {
	t.Parallel()
	s := New(memory.NewObjects(), nil)
	b, err := s.NewBatch(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, b.Add(t.Context(), "z/run.sh", 0o777, strings.NewReader("echo <hi>\n")))
	require.NoError(t, b.Add(t.Context(), "größe &.txt", 0o600, strings.NewReader("")))
	require.NoError(t, b.Add(t.Context(), "big", 0o644, bytes.NewReader(noise(2, 2<<20))))
	require.NoError(t, b.AddLink("z/link", "../big"))
	require.NoError(t, b.AddDir("z"))
	require.NoError(t, b.AddDir("empty"))
	m, _, err := b.Commit(t.Context())
	require.NoError(t, err)
	require.Equal(t, goldenManifest, string(m.encode()))
	require.Equal(t, goldenID, m.ID())
	again, err := decode(m.encode())
	require.NoError(t, err)
	require.Equal(t, m, again)
}

const goldenID = "77ee9b71d00729bf5eb384cd8495b002840b2af28864918b299439dcc1efab79"

const goldenManifest = `{"version":1,"files":[
{"path":"big","type":"file","size":2097152,"digest":"c0fcc9b908cd1cd4343fc161aea974872ac7b938f786618f52023bf1e4e10b0d","chunks":[{"digest":"eca0b1ab60d4b767ca1905356efb18ad9a06d11c19e9d617159f0710d6a7bdd8","size":1473510},{"digest":"fc4d13d748aa32b65b9cc62760fe78e43f9c1cf520837bae60757e3b694d9b57","size":623642}]},
{"path":"empty","type":"dir"},
{"path":"größe &.txt","type":"file","digest":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
{"path":"z/link","type":"link","link":"../big"},
{"path":"z/run.sh","type":"exec","size":10,"digest":"785b9258dffbcbb56e9c7e42dfe8886cbe5bdf8718bb494b2396bb99f91a3130"}
]}
`

func TestGoldenPack(t *testing.T) {
	t.Parallel()
	p := &packer{pack: pack{id: packID{1, 2}}}
	p.add(digestOf([]byte("one")), []byte("one"), &buffers{})
	p.add(digestOf([]byte("three")), []byte("three"), &buffers{})
	require.Equal(t, "d028b7596bebe605e4a3916291a06fe5064aec9db59ad785b9e00de6a36b8cb8", digestOf(p.finish()).String())
	require.Equal(t, "df6229640ef38d6d856d6f5dfa4a8cb8b1c09551efc7a8fc13f76516887dac31", digestOf(encodeIndex([]*pack{&p.pack})).String())
}

// How a reader cuts its answers must not matter, nor its length.
func TestCutIsDeterministic(t *testing.T) {
	t.Parallel()
	data := noise(3, 9<<20)
	cutAll := func(r io.Reader) (chunks []digest, all []byte) {
		var b buffers
		require.NoError(t, b.cut(t.Context(), r, func(c []byte) error {
			chunks = append(chunks, digestOf(c))
			all = append(all, c...)
			require.LessOrEqual(t, len(c), maxChunk)
			return nil
		}))
		return chunks, all
	}
	for _, n := range []int{0, 1, minChunk - 1, minChunk, minChunk + 1, avgChunk, maxChunk, maxChunk + 1, len(data)} {
		want, all := cutAll(bytes.NewReader(data[:n]))
		require.True(t, bytes.Equal(data[:n], all), "%d bytes", n)
		got, _ := cutAll(iotest.HalfReader(bytes.NewReader(data[:n])))
		require.Equal(t, want, got, "%d bytes", n)
		got, _ = cutAll(iotest.DataErrReader(bytes.NewReader(data[:n])))
		require.Equal(t, want, got, "%d bytes", n)
	}
	zeros, _ := cutAll(bytes.NewReader(make([]byte, 3*maxChunk)))
	require.Len(t, zeros, 3, "content without features is cut at the greatest size")
}

func TestCutErrors(t *testing.T) {
	t.Parallel()
	var b buffers
	keep := func([]byte) error { return nil }
	for _, n := range []int{0, 10, minChunk, 3 << 20, 10 << 20} {
		r := io.MultiReader(bytes.NewReader(noise(4, n)), iotest.ErrReader(errDead))
		require.ErrorIs(t, b.cut(t.Context(), r, keep), errDead, "after %d bytes", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := b.cut(ctx, bytes.NewReader(noise(5, 20<<20)), func([]byte) error { cancel(); return nil })
	require.ErrorIs(t, err, context.Canceled)
	err = b.cut(t.Context(), bytes.NewReader(noise(5, 20<<20)), func([]byte) error { return errDead })
	require.ErrorIs(t, err, errDead)
}

package fingerprint

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

func entries(n int) []Entry {
	out := make([]Entry, n)
	for i := range out {
		out[i] = Entry{Name: fmt.Sprintf("store/folder-%03d/file-%06d.png", i/1000, i), Size: int64(i * 7), Mark: MarkOf(fmt.Sprint(i))}
		if i%5 == 0 {
			out[i].Digest = bytes.Repeat([]byte{byte(i)}, 32)
		}
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 5000} {
		want := entries(n)
		data, digest, err := Encode(slices.Values(want))
		require.NoError(t, err)
		require.Len(t, digest, 64)
		var got []Entry
		for e, err := range Decode(bytes.NewReader(data)) {
			require.NoError(t, err)
			got = append(got, e)
		}
		require.Equal(t, want, append(make([]Entry, 0, n), got...))
		again, sameDigest, err := Encode(slices.Values(want))
		require.NoError(t, err)
		require.Equal(t, data, again)
		require.Equal(t, digest, sameDigest)
		if n > 0 {
			want[n-1].Mark++
			_, other, err := Encode(slices.Values(want))
			require.NoError(t, err)
			require.NotEqual(t, digest, other)
		}
	}
}

func TestDamage(t *testing.T) {
	t.Parallel()
	data, _, err := Encode(slices.Values(entries(300)))
	require.NoError(t, err)
	unsorted, _, err := Encode(slices.Values([]Entry{{Name: "b"}, {Name: "a"}}))
	require.NoError(t, err)
	for name, bad := range map[string][]byte{"empty": nil, "cut off": data[:len(data)-9], "only its head": data[:len(magic)], "another": []byte("something else"), "not in order": unsorted} {
		var last error
		for _, err := range Decode(bytes.NewReader(bad)) {
			last = err
		}
		require.ErrorIs(t, last, azml.ErrDamaged, name)
	}
}

func FuzzDecode(f *testing.F) {
	data, _, err := Encode(slices.Values(entries(3)))
	require.NoError(f, err)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		before := ""
		for e, err := range Decode(bytes.NewReader(data)) {
			if err != nil {
				require.ErrorIs(t, err, azml.ErrDamaged)
				return
			}
			require.Greater(t, e.Name, before)
			before = e.Name
		}
	})
}

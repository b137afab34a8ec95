package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		secrets    []string
		text, want string
	}{
		"none":                     {nil, "hunter2", "hunter2"},
		"empty ones":               {[]string{""}, "hunter2", "hunter2"},
		"one":                      {[]string{"hunter2"}, "a hunter2 b hunter2", "a **** b ****"},
		"short":                    {[]string{"x"}, "axb", "a****b"},
		"part only":                {[]string{"hunter2"}, "hunter", "hunter"},
		"longest of two":           {[]string{"hunter2", "hunter2-long"}, "hunter2-long hunter2", "**** ****"},
		"shorter, then other":      {[]string{"hunter2", "hunter2-long"}, "hunter2-lo", "****-lo"},
		"overlapping":              {[]string{"abcdef", "defghi"}, "-abcdefghi-", "-****-"},
		"side by side":             {[]string{"abcdef"}, "abcdefabcdef", "********"},
		"of itself":                {[]string{"aaa"}, "baaaab", "b****b"},
		"in a URL":                 {[]string{"p@ss/wörd 1"}, "https://me:" + url.QueryEscape("p@ss/wörd 1") + "@h/" + url.PathEscape("p@ss/wörd 1"), "https://me:****@h/****"},
		"by other programs":        {[]string{"a+b/c \"d"}, "x=a%2Bb%2Fc%20%22d y=a%2Bb/c%20%22d", "x=**** y=****"},
		"in base64":                {[]string{"hunter2"}, base64.StdEncoding.EncodeToString([]byte("hunter2")), "****"},
		"in JSON":                  {[]string{"a\"b\nc<é"}, `{"x": "a\"b\nc<é"}`, `{"x": "****"}`},
		"in Python's JSON":         {[]string{"pässwörd😀"}, `"p\u00e4ssw\u00f6rd\ud83d\ude00"`, `"****"`},
		"lines of one":             {[]string{"-----BEGIN\nMIIEvQIBADAN\nab\n-----END\n"}, "> MIIEvQIBADAN\n> ab\n", "> ****\n> ab\n"},
		"read with its line's end": {[]string{"hunter2\n"}, "pw=hunter2 hunter2\n", "pw=**** ****"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, New(tc.secrets...).Text(tc.text))
		})
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"a string":     {`{"param": "pw", "value": "hunter2"}`, `{"param": "pw", "value": "****"}`},
		"within one":   {`{"value": "a \"hunter2\" b"}`, `{"value": "a \"****\" b"}`},
		"escaped":      {`{"value": "h\u0075nter2"}`, `{"value": "****"}`},
		"a number":     {`{"value": 123456, "x": "123456"}`, `{"value": 123456, "x": "****"}`},
		"no strict":    {`{"value": NaN, "x": "hunter2"}`, `{"value": NaN, "x": "****"}`},
		"cut off":      {`{"value": "hunter2`, `{"value": "hunter2`},
		"wrong escape": {`{"value": "\hunter2"}`, `{"value": "\hunter2"}`},
		"nothing":      {``, ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, string(New("hunter2", "123456").JSON([]byte(tc.text))))
		})
	}
	require.Equal(t, `["abc", "****"]`, string(New("abc", "hunter2").JSON([]byte(`["abc", "hunter2"]`))), "short ones")
	require.Equal(t, `["abc"]`, string(New("abc").JSON([]byte(`["abc"]`))), "short ones alone")
	require.Equal(t, `"hunter2"`, string((*Secrets)(nil).JSON([]byte(`"hunter2"`))))
}

// TestPieces writes text with secrets in pieces, to a writer that fails now and
// then, and compares with the text as a whole.
func TestPieces(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	letters := func(n int) string {
		text := make([]byte, n)
		for i := range text {
			text[i] = "ab\n"[random.IntN(3)]
		}
		return string(text)
	}
	for range 2000 {
		secrets := New(letters(1+random.IntN(4)), letters(2+random.IntN(7)), letters(random.IntN(9)))
		text := letters(random.IntN(60))
		to := &flaky{random: random}
		w := secrets.Writer(to)
		for rest := text; rest != ""; {
			n := 1 + random.IntN(len(rest))
			again(t, func() error { _, err := w.Write([]byte(rest[:n])); return err })
			rest = rest[n:]
		}
		again(t, w.Flush)
		require.Equal(t, secrets.Text(text), to.String(), "%q", text)
	}
}

// again does it until it does not fail.
func again(t *testing.T, do func() error) {
	t.Helper()
	for range 100 {
		if do() == nil {
			return
		}
	}
	t.Fatal("never done")
}

// flaky takes a piece or refuses it.
type flaky struct {
	bytes.Buffer
	random *rand.Rand
}

func (f *flaky) Write(p []byte) (int, error) {
	if f.random.IntN(3) == 0 {
		return 0, errors.New("not now")
	}
	return f.Buffer.Write(p)
}

func TestNothingIsHeldBackWithoutReason(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	w := New("hunter2").Writer(&out)
	for _, piece := range []struct{ text, seen string }{{"step 1\n", "step 1\n"}, {"hunt", "step 1\n"}, {"ing\n", "step 1\nhunting\n"}} {
		_, err := w.Write([]byte(piece.text))
		require.NoError(t, err)
		require.Equal(t, piece.seen, out.String())
	}
}

// FuzzMask finds no secret in what was masked, whatever the pieces, and JSON
// that stays JSON.
func FuzzMask(f *testing.F) {
	f.Add("hunter2", "a hunter2 b", 3)
	f.Add("aa", "aaaa", 1)
	f.Add("\"", `{"a":"\""}`, 2)
	f.Fuzz(func(t *testing.T, secret, text string, cut int) {
		s := New(secret)
		whole := s.Text(text)
		var out strings.Builder
		w := s.Writer(&out)
		cut = min(max(cut, 0), len(text))
		for _, piece := range []string{text[:cut], text[cut:]} {
			_, _ = w.Write([]byte(piece))
		}
		_ = w.Flush()
		if out.String() != whole {
			t.Fatalf("in pieces %q, as a whole %q", out.String(), whole)
		}
		if secret != "" && !strings.Contains(secret, "*") {
			for part := range strings.SplitSeq(whole, Mask) {
				if strings.Contains(part, secret) {
					t.Fatalf("%q shows %q", whole, secret)
				}
			}
		}
		if masked := s.JSON([]byte(text)); json.Valid([]byte(text)) && !json.Valid(masked) {
			t.Fatalf("%q became %q", text, masked)
		}
	})
}

func BenchmarkWriter(b *testing.B) {
	w := New("hunter2-correct-horse", "another-secret").Writer(&bytes.Buffer{})
	text := []byte(strings.Repeat("epoch 1 loss 0.25 and another line of output\n", 100))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		w.to.(*bytes.Buffer).Reset()
		if _, err := w.Write(text); err != nil {
			b.Fatal(err)
		}
	}
}

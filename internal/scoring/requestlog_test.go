package scoring

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCallLine(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 2, 3, 4, 5, 6, 7000, time.UTC)
	c := Call{ID: "i", Deployment: "blue", Method: "POST", Path: "/score", Status: 200, Began: began, Ran: 1500 * time.Microsecond, In: 3, Out: 4}
	require.Equal(t, `{"time":"2026-02-03T04:05:06.002007Z","id":"i","deployment":"blue","method":"POST","path":"/score","status":200,"ms":2.000,"runMs":1.500,"in":3,"out":4}`+"\n",
		string(c.append(nil, began.Add(2*time.Millisecond))))
}

// FuzzCallLine: whatever a client sends is one line, a JSON object that says it.
func FuzzCallLine(f *testing.F) {
	f.Add("id", "POST", "/score")
	f.Add("\"\\", "é\xff\x00", "/\n\u2028")
	f.Fuzz(func(t *testing.T, id, method, path string) {
		c := Call{ID: id, Method: method, Path: path, Began: time.Now()}
		line := c.append(nil, time.Now())
		require.Equal(t, len(line)-1, bytes.IndexByte(line, '\n'))
		var said struct{ ID, Method, Path string }
		require.NoError(t, json.Unmarshal(line, &said))
		for sent, got := range map[string]string{id: said.ID, method: said.Method, path: said.Path} {
			whole, err := json.Marshal(sent)
			require.NoError(t, err)
			var want string
			require.NoError(t, json.Unmarshal(whole, &want))
			require.Equal(t, want, got)
		}
	})
}

package mlflow

import (
	"bufio"
	"context"
	"encoding/json"
	"strconv"
	"sync"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/index"
)

// found is a page of what a search finds. Its items are messages that are JSON
// already, for most of them were sent before.
type found struct {
	list  string // the name of the list in the answer
	items [][]byte
	next  string
}

// writeTo implements streamed.
func (f *found) writeTo(w *bufio.Writer) {
	_ = w.WriteByte('{') // errors come again with Flush
	for i, item := range f.items {
		if i == 0 {
			_, _ = w.WriteString(strconv.Quote(f.list) + ":[")
		} else {
			_ = w.WriteByte(',')
		}
		_, _ = w.Write(item)
	}
	if len(f.items) > 0 {
		_ = w.WriteByte(']')
	}
	if f.next != "" {
		_, _ = w.WriteString(`,"next_page_token":` + string(quote(f.next)))
	}
	_ = w.WriteByte('}')
}

// shown says how what is found is shown to clients. An item is shown with what is
// known of another one that it belongs to, such as the experiment of a run.
type shown struct {
	// of gives the state of what an item belongs to, by its name; nil when items
	// stand alone.
	of func(name string) (backend.ETag, error)
	// message makes an item's message, and names what it belongs to.
	message func(index.Hit) (message any, of string, err error)
}

// found searches, and shows what is found. What has been shown before and is the
// same since is not read.
func (c call) found(ctx context.Context, list string, q index.Query, as shown) (*found, error) {
	if as.of == nil {
		as.of = func(string) (backend.ETag, error) { return "", nil }
	}
	known := map[index.State][]byte{}
	q.Known = func(state index.State) bool {
		s, ok := c.sentBefore.get(state)
		if !ok {
			return false
		}
		if etag, err := as.of(s.of); err != nil || etag != s.etag { // the error comes again
			return false
		}
		known[state] = s.json
		return true
	}
	page, err := c.find(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &found{list: list, items: make([][]byte, len(page.Hits)), next: page.Next}
	for i, hit := range page.Hits {
		item, ok := known[hit.State]
		if !ok {
			if item, err = c.show(hit, as); err != nil {
				return nil, err
			}
		}
		out.items[i] = item
	}
	return out, nil
}

// show makes the JSON of an item, and keeps it.
func (c call) show(hit index.Hit, as shown) ([]byte, error) {
	message, of, err := as.message(hit)
	if err != nil {
		return nil, err
	}
	s := sent{of: of}
	if s.etag, err = as.of(of); err != nil {
		return nil, err
	}
	if s.json, err = json.Marshal(message); err != nil {
		return nil, failf(codeInternal, "The answer can't be written as JSON: %v", err)
	}
	c.sentBefore.put(hit.State, s)
	return s.json, nil
}

// once keeps what get gives for each name.
func once[T any](get func(name string) (T, error)) func(name string) (T, error) {
	have := map[string]T{}
	return func(name string) (T, error) {
		if one, ok := have[name]; ok {
			return one, nil
		}
		one, err := get(name)
		if err == nil {
			have[name] = one
		}
		return one, err
	}
}

// sentCache knows the messages of items as they were sent last.
type sentCache struct {
	mu    sync.Mutex
	items map[index.State]sent
	size  int
}

// sent is the message of an item in some state.
type sent struct {
	json []byte
	of   string       // what it belongs to
	etag backend.ETag // the state of that
}

// maxSent bounds the messages that are kept, in bytes: of some 20,000 runs. Each
// counts sentCost more than its JSON.
const (
	maxSent  = 32 << 20
	sentCost = 128
)

func (s sent) size() int { return len(s.json) + sentCost }

func (sc *sentCache) get(state index.State) (sent, bool) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	s, ok := sc.items[state]
	return s, ok
}

// put keeps a message, in the place of any others when there are too many: who
// reads more than there is room for, again and again, would never find what was
// used last.
func (sc *sentCache) put(state index.State, s sent) {
	if s.size() > maxSent/2 {
		return
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.drop(state)
	for other := range sc.items {
		if sc.size+s.size() <= maxSent {
			break
		}
		sc.drop(other)
	}
	sc.items[state] = s
	sc.size += s.size()
}

func (sc *sentCache) drop(state index.State) {
	if s, ok := sc.items[state]; ok {
		delete(sc.items, state)
		sc.size -= s.size()
	}
}

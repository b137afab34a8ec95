package localfs_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

// TestListFoldersThatGo lists while a folder comes and goes with its only object.
func TestListFoldersThatGo(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	const rounds = 100
	done := make(chan struct{})
	var working sync.WaitGroup
	working.Go(func() {
		defer close(done)
		for range rounds {
			if _, err := s.Put(t.Context(), "a/b/c", strings.NewReader("x"), &backend.PutOptions{}); err != nil {
				t.Error(err)
			}
			if err := s.Delete(t.Context(), "a/b/c", &backend.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		}
	})
	defer working.Wait()
	for {
		for _, delimiter := range []string{"", "/"} {
			for _, err := range s.List(t.Context(), &backend.ListOptions{Delimiter: delimiter}) {
				require.NoError(t, err)
			}
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

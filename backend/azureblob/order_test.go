package azureblob_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/internal/testenv"
)

// TestOrderOfFiles has names that the service sorts otherwise than keys are sorted: with
// characters beyond U+FFFF, and with those that their surrogates come before.
func TestOrderOfFiles(t *testing.T) {
	t.Parallel()
	connection := azurite(t, testenv.AzuriteOptions{}).ConnectionString()
	name := newContainer(t, connection, nil)
	others, err := container.NewClientFromConnectionString(connection, name, nil)
	require.NoError(t, err)
	s := byKey(connection)(t, name, azureblob.Options{})
	// Each is of one, two or three of these, of which two sort otherwise in UTF-16.
	var keys []string
	pieces := []string{"a", "z", "（", "\uffee", "😀", "𠀀", "한"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		key := "data/"
		for range 1 + random.IntN(3) {
			key += pieces[random.IntN(len(pieces))]
			if random.IntN(3) == 0 {
				key += "/x"
			}
		}
		keys = append(keys, key)
	}
	keys = append(keys, "data", "z😀", "（")
	slices.Sort(keys)
	keys = slices.Compact(keys)
	for _, key := range keys {
		if strings.HasPrefix(key, "data/") {
			_, err := others.NewBlockBlobClient(key).UploadBuffer(t.Context(), []byte(key), nil)
			require.NoError(t, err)
			continue
		}
		_, err := s.Put(t.Context(), key, strings.NewReader(key), &backend.PutOptions{})
		require.NoError(t, err)
	}
	list := func(opts backend.ListOptions) (found []string) {
		for info, err := range s.List(t.Context(), &opts) {
			require.NoError(t, err)
			found = append(found, info.Key)
		}
		return found
	}
	require.Equal(t, keys, list(backend.ListOptions{}))
	for i, after := range keys {
		require.Equal(t, keys[i+1:], append([]string{}, list(backend.ListOptions{StartAfter: after})...), after)
	}
	var level []string
	for _, key := range keys {
		if below, ok := strings.CutPrefix(key, "data/"); ok {
			folder, _, deeper := strings.Cut(below, "/")
			if deeper {
				folder += "/"
			}
			level = append(level, "data/"+folder)
		}
	}
	slices.Sort(level)
	require.Equal(t, slices.Compact(level), list(backend.ListOptions{Prefix: "data/", Delimiter: "/"}))
	for info := range s.List(t.Context(), &backend.ListOptions{}) {
		if strings.Contains(info.Key, "😀") {
			break // which is no reason to go on with what is held back
		}
	}
}

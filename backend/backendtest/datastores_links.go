package backendtest

import (
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// brevity is how long a link lasts that is to expire, by the second as stores have it.
const brevity = 2 * time.Second

func checkLinks(t TB, h DataFilesHarness) {
	signer, ok := backend.As[backend.Signer](h.Files)
	require.Equal(t, h.Links, ok, "whether there is a Signer")
	if !ok {
		return
	}
	f := files{t, h.Files}
	f.put("a/ü b.txt", "content")
	f.put("a/other", "secret")
	sign := func(path string, opts backend.SignOptions) string {
		t.Helper()
		link, err := signer.Sign(t.Context(), path, &opts)
		require.NoError(t, err)
		return link
	}
	read := sign("a/ü b.txt", backend.SignOptions{Expires: time.Hour})
	status, body, header := follow(t, h, http.MethodGet, read, "")
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "content", body)
	require.Contains(t, header.Get("Content-Disposition"), "attachment")
	status, _, _ = follow(t, h, http.MethodPut, read, "replaced")
	require.Equal(t, http.StatusForbidden, status, "it is for reading")
	other, err := url.Parse(read)
	require.NoError(t, err)
	other.Path, other.RawPath = path.Dir(other.Path)+"/other", ""
	status, _, _ = follow(t, h, http.MethodGet, other.String(), "")
	require.Equal(t, http.StatusForbidden, status, "it is for one file")

	write := sign("a/new", backend.SignOptions{Expires: time.Hour, Write: true})
	status, body, _ = follow(t, h, http.MethodPut, write, "written")
	require.Less(t, status, 300, body)
	got, _ := f.read("a/new", backend.GetOptions{})
	require.Equal(t, "written", got)
	status, _, _ = follow(t, h, http.MethodGet, write, "")
	require.Equal(t, http.StatusForbidden, status, "it is for writing")

	brief := sign("a/other", backend.SignOptions{Expires: brevity})
	require.Eventually(t, func() bool {
		status, _, _ := follow(t, h, http.MethodGet, brief, "")
		return status == http.StatusForbidden
	}, time.Minute, brevity/4, "it has expired")

	_, err = signer.Sign(t.Context(), "a/other", &backend.SignOptions{Expires: 1000 * time.Hour})
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = signer.Sign(t.Context(), "a/other", &backend.SignOptions{})
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = signer.Sign(t.Context(), "a/", &backend.SignOptions{Expires: time.Hour})
	require.ErrorIs(t, err, azml.ErrUnsupported, "not for a folder")
}

// follow uses a link as any program would.
func follow(t TB, h DataFilesHarness, method, link, content string) (status int, body string, header http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, link, strings.NewReader(content))
	require.NoError(t, err)
	request.Header.Set("x-ms-blob-type", "BlockBlob") // which Blob Storage wants, and others pass over
	client := http.DefaultClient
	if h.Client != nil {
		client = h.Client
	}
	response, err := client.Do(request)
	require.NoError(t, err)
	data, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	client.CloseIdleConnections()
	return response.StatusCode, string(data), response.Header
}

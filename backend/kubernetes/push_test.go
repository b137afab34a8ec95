package kubernetes_test

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/testenv"
)

// pushVariable has TestPushes be the process that makes an image, on the target that it is.
const pushVariable = "AZML_TEST_PUSH"

// pushed is the recipe of that image.
func pushed(base string) backend.ImageRecipe {
	return backend.ImageRecipe{Hash: "pushed", Base: base, Setup: "touch /opt/made"}
}

// TestPushes has images pushed to a registry that wants a login, and to one over TLS, by
// processes whose environment says what they need for that, or does not.
func TestPushes(t *testing.T) {
	t.Parallel()
	if text := os.Getenv(pushVariable); text != "" {
		var p placed
		require.NoError(t, json.Unmarshal([]byte(text), &p))
		_, err := open(t, p).BuildImage(t.Context(), pushed(p.Target.Image), io.Discard)
		require.NoError(t, err)
		return
	}
	cluster, registry := testenv.Kubernetes(t), testenv.Registry(t)
	certificate := testenv.NewCertificate(t)
	secure := overTLS(t, registry.Address, certificate)
	nobody, login := t.TempDir(), t.TempDir()
	auth := base64.StdEncoding.EncodeToString([]byte(registry.User + ":" + registry.Password))
	config := fmt.Sprintf(`{"auths": {%q: {"auth": %q}, %q: {"auth": %q}}}`, registry.Address, auth, secure, auth)
	require.NoError(t, os.WriteFile(filepath.Join(login, "config.json"), []byte(config), 0o600))
	for called, c := range map[string]struct {
		registry    string
		environment []string
		fails       string
	}{
		"nobody":                    {registry.Address, []string{"DOCKER_CONFIG=" + nobody}, "UNAUTHORIZED"},
		"login":                     {registry.Address, []string{"DOCKER_CONFIG=" + login}, ""},
		"TLS of a stranger":         {secure, []string{"DOCKER_CONFIG=" + login}, "unknown authority"},
		"TLS of whom one has named": {secure, []string{"DOCKER_CONFIG=" + login, "SSL_CERT_FILE=" + certificate.File}, ""},
	} {
		t.Run(called, func(t *testing.T) {
			t.Parallel()
			repository := "/azml-test/" + strings.ToLower(strings.ReplaceAll(called, " ", "-"))
			p := place(t, cluster)
			p.Target.Registry = c.registry + repository
			text, err := json.Marshal(p)
			require.NoError(t, err)
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPushes$")
			cmd.Env = append(os.Environ(), append(c.environment, pushVariable+"="+string(text))...)
			said, err := cmd.CombinedOutput()

			tag, nameErr := name.NewTag(registry.Address + repository + ":pushed")
			require.NoError(t, nameErr)
			_, missing := remote.Head(tag, remote.WithContext(t.Context()), remote.WithTransport(&http.Transport{DisableKeepAlives: true}),
				remote.WithAuth(&authn.Basic{Username: registry.User, Password: registry.Password}))
			if c.fails != "" {
				require.Error(t, err)
				require.Contains(t, string(said), c.fails)
				require.Error(t, missing)
				return
			}
			require.NoError(t, err, "%s", said)
			require.NoError(t, missing)
		})
	}
}

// overTLS gives the address of a registry that is the given one, over TLS alone.
func overTLS(t *testing.T, registry string, certificate testenv.Certificate) (address string) {
	t.Helper()
	inside := &url.URL{Scheme: "http", Host: registry}
	server := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(inside)
		r.SetXForwarded() // which the registry's answers are by
		r.Out.Host = r.In.Host
	}})
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // strangers are meant to be refused
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate.Pair}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

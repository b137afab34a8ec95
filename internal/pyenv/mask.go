package pyenv

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// masked stands in logs for a secret value.
const masked = "****"

var (
	variable    = regexp.MustCompile(`\$\{([A-Z0-9_]+)\}`)
	anyURL      = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s'",;]+`)
	tokenInPath = regexp.MustCompile(`/t/([^/\s]+)/`)
)

// masker replaces the secrets of a spec in text. The zero masker masks what
// looks like credentials of a URL.
type masker struct {
	replacer *strings.Replacer
}

// newMasker knows the credentials in the spec's URLs, and the values of the
// environment variables that the spec names in them. Values below six
// characters are masked only where they stand in a URL: they would tear other
// words apart.
func newMasker(s Spec, env map[string]string) *masker {
	var secrets []string
	for _, line := range slices.Concat(s.PipOptions, s.Pip, s.Constraints, s.Channels, s.Conda) {
		for _, text := range anyURL.FindAllString(line, -1) {
			secrets = append(secrets, urlSecrets(text)...)
		}
		for _, match := range variable.FindAllStringSubmatch(line, -1) {
			secrets = append(secrets, env[match[1]], url.QueryEscape(env[match[1]]), url.PathEscape(env[match[1]]))
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, secret := range slices.Compact(secrets) {
		if len(secret) >= 6 && secret != masked && !variable.MatchString(secret) {
			pairs = append(pairs, secret, masked)
		}
	}
	return &masker{replacer: strings.NewReplacer(pairs...)}
}

// urlSecrets lists the secrets of a URL, as written and decoded: a password,
// a user name without one (which is then a token), values of the query, and a
// conda token.
func urlSecrets(text string) []string {
	var out []string
	u, err := url.Parse(text)
	if err != nil {
		return nil
	}
	if u.User != nil {
		secret, ok := u.User.Password()
		if !ok {
			secret = u.User.Username()
		}
		raw := u.User.String()
		out = append(out, secret, raw[strings.Index(raw, ":")+1:])
		if match := urlWithUser.FindStringSubmatch(text); match != nil {
			out = append(out, match[2][strings.Index(match[2], ":")+1:])
		}
	}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		if _, value, _ := strings.Cut(pair, "="); len(value) >= 8 {
			decoded, _ := url.QueryUnescape(value)
			out = append(out, value, decoded)
		}
	}
	if match := tokenInPath.FindStringSubmatch(u.EscapedPath()); match != nil {
		out = append(out, match[1])
	}
	return out
}

// mask gives the text without the secrets.
func (m *masker) mask(text string) string {
	return urlWithUser.ReplaceAllString(m.replacer.Replace(text), "${1}"+masked+"@")
}

package gitinfo

import (
	"net/url"
	"strings"
)

// secretWords mark a parameter of an address as one that is not to be kept.
var secretWords = [...]string{"token", "secret", "pass", "pwd", "key", "sig", "auth", "cred", "jwt"}

// cleanRemote takes credentials off the address of a repository. The user name
// stays for SSH, where it is a part of the address and no secret.
func cleanRemote(raw string) string {
	raw = strings.TrimSpace(raw)
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return cleanScp(raw)
	}
	user, rest := cutUser(rest)
	if end := strings.IndexAny(rest, "?#"); end >= 0 {
		rest = rest[:end]
	}
	if isSSH(scheme) && user != "" {
		user, _, _ = strings.Cut(user, ":")
		rest = user + "@" + rest
	}
	return scheme + "://" + rest
}

// cleanLink takes credentials off the address of a web page, but leaves the
// parameters that say which page it is.
func cleanLink(raw string) string {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(raw), "://")
	if !ok {
		return strings.TrimSpace(raw)
	}
	_, rest = cutUser(rest)
	rest, fragment, hasFragment := strings.Cut(rest, "#")
	page, query, _ := strings.Cut(rest, "?")
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		if part != "" && !isSecret(part) {
			kept = append(kept, part)
		}
	}
	if len(kept) > 0 {
		page += "?" + strings.Join(kept, "&")
	}
	if hasFragment && !isSecret(fragment) {
		page += "#" + fragment
	}
	return scheme + "://" + page
}

func isSecret(parameter string) bool {
	if plain, err := url.QueryUnescape(parameter); err == nil {
		parameter = plain
	}
	name, _, _ := strings.Cut(strings.ToLower(parameter), "=")
	for _, word := range secretWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// cutUser parts "user:password@host/path" at its "@". A password may hold "/"
// or "@" where they should have been escaped: then what looks like the host
// has a port that is no number.
func cutUser(rest string) (user, host string) {
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest[:end], '@')
	if at < 0 && !strings.HasPrefix(rest, "[") {
		_, port, _ := strings.Cut(rest[:end], ":")
		if strings.Trim(port, "0123456789") != "" {
			at = strings.LastIndexByte(rest, '@')
		}
	}
	if at < 0 {
		return "", rest
	}
	return rest[:at], rest[at+1:]
}

// cleanScp takes a password off "user:password@host:path", and leaves
// "git@host:path" and paths of local repositories as they are.
func cleanScp(raw string) string {
	at := strings.LastIndexByte(raw, '@')
	if at < 0 || strings.HasPrefix(raw, "/") || strings.HasPrefix(raw, ".") {
		return raw
	}
	user, _, hasPassword := strings.Cut(raw[:at], ":")
	if !hasPassword || strings.ContainsAny(user, `/\@`) {
		return raw
	}
	return user + raw[at:]
}

func isSSH(scheme string) bool {
	switch strings.ToLower(scheme) {
	case "ssh", "git+ssh", "ssh+git":
		return true
	}
	return false
}

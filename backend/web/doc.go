// Package web reads the files of a datastore from a web server, by their paths
// below a URL. It can't list or write.
//
// Redirects are followed, ten at most. The registered server may have any
// address, also a private one: whoever registers it names it, and servers within
// a company are what it is for. Another server that a redirect leads to must
// have a public address, so that the registered one can't make this machine ask
// its neighbours; and it is sent no credentials. Where a proxy of the
// environment is used, the proxy reaches the server and the rule is its own.
package web

// Package collect keeps what services are asked and what they answer, as tables
// that can be read as datasets. Nothing of it makes scoring wait: what there is
// no room for is dropped and counted.
package collect

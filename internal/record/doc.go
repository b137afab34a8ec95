// Package record holds the stored form of every resource: one struct per kind,
// the JSON codec with its version rule, and the table of run states.
//
// A record is one JSON object. Its member "schema" names the kind and the
// major version ("azml.run/1"). Within a major version members may be added;
// a reader keeps members it doesn't know when it writes the record again. A
// record of a greater major version is refused, never guessed at.
package record

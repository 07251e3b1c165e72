package alerts

import (
	"datawatch/pkg/event"
	"datawatch/validator/internal/alerts/life"
)

var english = &words{
	language: "en", thousands: ",", date: "2 Jan 15:04",
	severities: map[event.Severity]string{event.Warning: "warning", event.Critical: "critical"},
	ops: map[event.Op]string{
		event.Insert: "insert", event.Update: "update", event.Delete: "delete", event.Read: "read", event.Message: "message", event.Truncate: "truncate",
	},
	units: [4]func(int64) string{unit("s"), unit("min"), unit("h"), plural("day", "days")},
	at:    "at", got: "got", expected: "expected", key: "key", since: "since",
	times: func(span string) string {
		if span == "" {
			return " times"
		}
		return " in " + span
	},
	keys: func(n string) string { return n + " keys" },
	wrongNow: func(n string) string {
		if n == "1" {
			return "1 row wrong now"
		}
		return n + " rows wrong now"
	},
	mendedAt: func(n, at string) string {
		if n == "1" {
			return "mended: right again, " + at
		}
		return "mended: all " + n + " right again, " + at
	},
	ruleError: "A rule can't run", value: "the value", others: "More kinds of errors than are told apart", runbook: "runbook",
	is:        func(subject, predicate string) string { return subject + " " + predicate },
	notLoaded: "not loaded", loaded: "is loaded again", line: "line",
	stays:     func(at string) string { return "The version of " + at + " stays in force." },
	unchecked: "There is no earlier version: its stream isn't checked.",
	buttons: map[string]string{
		"ack": "Ack", "unack": "Undo ack", "mute 1h": "Mute 1h", "mute 8h": "Mute 8h", "unmute": "Unmute", "resolve": "Resolved", "reopen": "Open again",
		"unaccept": "Undo accept", "samples": "Samples", "rows": "Rows",
	},
	done: map[life.Verb]string{
		life.Ack: "Acknowledged", life.Unack: "No longer acknowledged", life.Mute: "Muted", life.Unmute: "No longer muted", life.Resolve: "Resolved",
		life.Reopen: "Open again", life.Accept: "Accepted", life.Unaccept: "No longer accepted", life.Noted: "Noted",
	},
	ackBy:        func(user, at string) string { return "acknowledged by " + user + ", " + at },
	mutedUntil:   func(at, user string) string { return "muted until " + at + " by " + user },
	unknownAlert: "This alert isn't known any more",
	hushed:       "Without a sound: this chat has had as many as it takes in 10 minutes. It rings when there is room, unless somebody acknowledges it before.",

	quietSince:    func(at string) string { return "no new ones since " + at },
	isBack:        func(at string) string { return "is back (was over since " + at + ")" },
	comesAndGoes:  func(n, at string) string { return "comes and goes: " + n + " times in a day, told again at " + at },
	resolvedBy:    func(user, at string) string { return "resolved by " + user + ", " + at },
	acceptedUntil: func(at, user, reason string) string { return "accepted until " + at + " by " + user + ": " + reason },
	acceptedRows: func(n, at, user, reason string) string {
		return n + " keys accepted until " + at + " by " + user + ": " + reason
	},
	mutedForSchema: func(user string) string { return "muted until the schema changes by " + user },
	shareOf:        func(percent string) string { return percent + " of the stream" },
	stillWrong:     func(n, of string) string { return n + " of " + of + " rows still wrong" },
	escalated:      func(n, _ string) string { return "10 times as many as an hour ago: " + n },
	reminder: func(n, since string) string {
		if n == "" {
			return "nobody has taken care since " + since
		}
		return rowsWrong("since "+since)(n) + ", and nobody has taken care"
	},
	folded: "is part of another message now",
	incidents: map[life.Incident]func(string) string{
		life.Transaction: rowsWrong("by one transaction"),
		life.Actor:       rowsWrong("by one program that is new there"),
		life.Schema:      rowsWrong("since a schema changed"),
		life.Burst:       func(n string) string { return n + " kinds of errors at once" },
		life.Reads:       rowsWrong("among those that were there already"),
	},
	streamInvalid: func(percent, stream string) string { return percent + " of " + stream + " is invalid" },
	totals:        func(n, of string) string { return "(" + n + " of " + of + ")" },
	more:          func(n string) string { return n + " more" },
	decimal:       ".",
	troubles:      englishTroubles, remarks: englishRemarks, answers: englishAnswers, digest: englishDigest,
}

func rowsWrong(why string) func(n string) string {
	return func(n string) string {
		if n == "1" {
			return "1 row wrong " + why
		}
		return n + " rows wrong " + why
	}
}

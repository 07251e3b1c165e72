package event

import "encoding/json"

// Severity says who hears of a violation: info is counted and in the digest, never a message.
type Severity string

// The severities, from the least.
const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// ErrorKind says which judge found an error.
type ErrorKind string

// The kinds of errors.
const (
	SchemaError   ErrorKind = "schema"
	RuleViolation ErrorKind = "rule"
	RuleError     ErrorKind = "rule_error" // the rule itself couldn't run
	InvalidError  ErrorKind = "invalid"
	LimitError    ErrorKind = "limit"
	InternalError ErrorKind = "internal"
)

// Violation is one record of datawatch.violations: what is wrong with one event.
type Violation struct {
	Version     int               `json:"version"` // 1
	ID          string            `json:"id"`      // a function of the event and the schema
	DetectedAt  string            `json:"detected_at"`
	Stream      Stream            `json:"stream"`
	Op          Op                `json:"op"`
	Key         json.RawMessage   `json:"key"`
	EventID     string            `json:"event_id"`
	EventTime   string            `json:"event_time"`
	Transaction *string           `json:"transaction"`
	Actor       *Actor            `json:"actor"`
	Tag         *string           `json:"tag"`
	Position    ViolationPosition `json:"position"`
	Schema      ViolationSchema   `json:"schema"`
	Severity    Severity          `json:"severity"` // the highest of its errors
	Owner       string            `json:"owner,omitempty"`
	Runbook     string            `json:"runbook,omitempty"`
	Errors      []ViolationError  `json:"errors"`
	Truncated   bool              `json:"truncated"`
	Sample      json.RawMessage   `json:"sample"`
}

// ViolationPosition is the place of the event in clean.
type ViolationPosition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// ViolationSchema is the file that judged.
type ViolationSchema struct {
	File   string `json:"file"` // relative to the schema folder, with slashes
	SHA256 string `json:"sha256"`
	// Refs is a SHA-256 over the files that it refers to; empty where it refers to none.
	Refs string `json:"refs_sha256,omitempty"`
}

// Version names what judged: another file, or another state of what it refers to, is another version.
func (s ViolationSchema) Version() string {
	if s.Refs == "" {
		return s.SHA256
	}
	return s.SHA256 + "+" + s.Refs
}

// ViolationError is one leaf of what is wrong, in the names of JSON Schema's basic output.
type ViolationError struct {
	Kind             ErrorKind `json:"kind"`
	Rule             string    `json:"rule,omitempty"`
	Severity         Severity  `json:"severity,omitempty"`
	InstanceLocation string    `json:"instanceLocation"`
	KeywordLocation  string    `json:"keywordLocation"`
	Message          string    `json:"message"`
	Expected         string    `json:"expected,omitempty"`
	Actual           string    `json:"actual,omitempty"`
	Fingerprint      string    `json:"fingerprint"`
}

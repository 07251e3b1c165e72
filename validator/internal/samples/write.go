package samples

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Failed counts the outcomes that fail.
func Failed(outcomes []Outcome) int {
	failed := 0
	for _, o := range outcomes {
		if o.Problem != "" {
			failed++
		}
	}
	return failed
}

// Write writes a line a sample, and below those that fail what the verdict said.
func Write(w io.Writer, outcomes []Outcome) error {
	var b strings.Builder
	for _, o := range outcomes {
		if o.Problem == "" {
			fmt.Fprintf(&b, "ok    %s\n", o.Name)
			continue
		}
		fmt.Fprintf(&b, "FAIL  %s: %s\n", o.Name, o.Problem)
		for _, line := range o.Reported {
			fmt.Fprintf(&b, "        %s\n", line)
		}
	}
	fmt.Fprintf(&b, "%d samples, %d failed\n", len(outcomes), Failed(outcomes))
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteJSON writes the outcomes as data.
func WriteJSON(w io.Writer, outcomes []Outcome) error {
	type outcome struct {
		Sample   string   `json:"sample"`
		Stream   string   `json:"stream"`
		Valid    bool     `json:"has_to_pass"`
		Schema   string   `json:"schema,omitempty"`
		OK       bool     `json:"ok"`
		Problem  string   `json:"problem,omitempty"`
		Reported []string `json:"reported,omitempty"`
	}
	all := make([]outcome, 0, len(outcomes))
	for _, o := range outcomes {
		all = append(all, outcome{o.Name, string(o.Stream), o.Valid, o.File, o.Problem == "", o.Problem, o.Reported})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(all)
}

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the report that CI systems read: a suite a stream, a case a sample.
func WriteJUnit(w io.Writer, outcomes []Outcome) error {
	var all junitSuites
	took := map[string]time.Duration{}
	for _, o := range outcomes {
		stream := string(o.Stream)
		i := slices.IndexFunc(all.Suites, func(s junitSuite) bool { return s.Name == stream })
		if i < 0 {
			i, all.Suites = len(all.Suites), append(all.Suites, junitSuite{Name: stream})
		}
		suite := &all.Suites[i]
		c := junitCase{Name: strings.TrimPrefix(o.Name, stream+"/"), Class: stream, Time: seconds(o.Took)}
		if o.Problem != "" {
			c.Failure = &junitFailure{o.Problem, strings.Join(o.Reported, "\n")}
			suite.Failures++
		}
		suite.Tests++
		suite.Cases = append(suite.Cases, c)
		took[stream] += o.Took
		suite.Time = seconds(took[stream])
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }

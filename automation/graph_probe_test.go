package automation_test
import ("testing";"os";"fmt";"encoding/json";"rollcall/automation")
func TestProbe(t *testing.T) {
	titles := []string{`say "hi" <b>x</b>`, "1. First", "- dash", "* star", "`code`", "a | b", "{{ user.x }}", "%% comment", "%%{init: {}}%%", "end", "style x:y#1;", "classDef a:b#2; c", "http://x.y/z?a=b#c", "www.example.com", "ada@example.com", "_x_ *y* ~~z~~", "[a](b)", `back\slash \n`, "über größe 😀 ﬂ°°1¶ß", "#quot; &lt; #35;", "+ plus", "=== eq", "1) one", "a;b; graph TD", "multi\nline\r\nx", "1", "fa:fa-car", "a--b-->c", "&amp;", "!img ![a](b)", "$$x$$", "<script>alert(1)</script>", "2.5 days", "@{ shape: x }", "> quote", "    indented", "~~~", "a\u202eb", "subgraph", "click n1 call x()", "style", "---", "09:00 on Monday", "www.a:80//x", "ftp://x", "mailto:a@b.c"}
	out := map[string]string{}
	for _, s := range titles {
		q, _ := json.Marshal(s)
		d, err := automation.ParseDocument([]byte(fmt.Sprintf(`{"name":"w","title":%s,"triggers":[{"manual":true}],"steps":[{"id":"a","title":%s,"delay":"1h"},{"id":"b","branch_on":{"property":"x"},"cases":[{"is":[%s],"steps":[]},{"else":true}]},{"id":"c","exit":{"reason":%s}}]}`, q, q, q, q)))
		if err != nil { t.Fatal(err) }
		g, err := d.Mermaid()
		if err != nil { t.Fatal(err) }
		out[s] = g
	}
	b, _ := json.Marshal(out)
	os.WriteFile("/tmp/mm/probe.json", b, 0o600)
}

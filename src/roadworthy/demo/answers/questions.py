"""Questions about the handbook, each with the document that answers it. Owns them; how well a search does is counted elsewhere.

They were written from the policies before the search was run on any of them, and were never used to choose one of its
numbers.
"""

QUESTIONS = (
    ("How many days of holiday do I get in a year?", "annual-leave"),
    ("Until when must I take the leave days that I carried over?", "annual-leave"),
    ("What happens if I fall ill during my vacation?", "annual-leave"),
    ("From which day on do I need a medical certificate?", "sick-leave"),
    ("Whom do I call when I am too ill to come to work?", "sick-leave"),
    ("How long am I paid in full while I am sick?", "sick-leave"),
    ("On how many days a week may I work from home?", "remote-work"),
    ("Can I work from another country?", "remote-work"),
    ("How much may a hotel cost on a business trip?", "travel-expenses"),
    ("What does the company pay per kilometre for my private car?", "travel-expenses"),
    ("May I fly or must I take the train?", "travel-expenses"),
    ("How long must my password be?", "passwords"),
    ("I have lost my security key, what now?", "passwords"),
    ("Where do I report a phishing mail or a stolen laptop?", "incident-report"),
    ("Should I switch off a computer that behaves strangely?", "incident-report"),
    ("Within how many hours must the authority be notified of a data breach?", "incident-report"),
    ("When are passenger lists deleted?", "data-retention"),
    ("How long are camera recordings kept?", "data-retention"),
    ("For how many years do we keep invoices?", "data-retention"),
    ("How can I find out which personal data you hold about me?", "privacy-requests"),
    ("How fast do you correct wrong data?", "privacy-requests"),
    ("Can I get my money back if I return my ticket two days early?", "refunds"),
    ("What do I get when the ferry is two hours late?", "refunds"),
    ("Can I change my ticket to another day?", "refunds"),
    ("Can I travel with a wheelchair?", "passenger-assistance"),
    ("Which ferry has a lift?", "passenger-assistance"),
    ("May I bring my dog on the ferry?", "passenger-assistance"),
    ("May I take a camping gas cylinder on board?", "dangerous-goods"),
    ("Can I charge my electric car during the voyage?", "dangerous-goods"),
    ("To whom can I report corruption without giving my name?", "whistleblowing"),
    ("Am I protected against reprisals after reporting a wrong?", "whistleblowing"),
    ("From what amount on do we need three offers?", "procurement"),
    ("May I accept a gift from a supplier?", "procurement"),
    ("May I use an AI assistant to translate a contract?", "ai-assistants"),
    ("Who is told about new uses of AI?", "ai-assistants"),
    ("What does a technician earn?", "salary-bands"),
    ("How high is the supplement for night shifts?", "salary-bands"),
    ("What is the notice period after four years?", "disciplinary"),
    ("When is a written warning removed from the personnel file?", "disciplinary"),
)
"""Question, and id of the document that answers it."""

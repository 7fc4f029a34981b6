"""The codes that are no failure."""
WARNINGS = {"ARC-001", "ARC-002", "BLB-005", "BLB-006", "EVD-004", "MRG-010", "MRG-011", "LNK-002", "INC-001", "CUT-001", "FORK-002", "FLT-002", "FLT-004", "UPD-007", "UPD-009", "TIME-001", "LOG-007",
            "KEY-001", "KEY-002", "GOV-003"}
INCOMPLETE = {"ANC-001", "ANC-004", "ARC-003", "ARC-005", "NET-002", "LNK-001", "INC-003", "DAG-001", "BLB-001", "BLB-002",
              "MRG-003", "MRG-007", "MRG-008", "MRG-012", "REC-001", "REC-003", "MAN-001", "MAN-026", "SIG-004", "LOG-004", "LOG-005", "LOG-006", "WIT-001"}

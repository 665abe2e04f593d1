"""Recommendations in the formats of other systems: CDS Hooks 2.0 cards and FHIR R4 resources, as plain JSON.

Every projection is a pure function of one published recommendation: no clock, no network, the same answer each time. It
says nothing that the recommendation does not say. Codes that no terminology has been checked for are ours
(`urn:wardstream:...`); a patient is named as the producers named it, never by an id of a FHIR server.
"""

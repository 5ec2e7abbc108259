"""The therapies of the worked composition as one layer: every place where a therapy meets the core is used once.

Only the regression of the equations reads it; the therapies that people use are files of their own in models/.
"""

LAYER = """
title   = "Therapies of the worked composition"
assumed = "transcribed to check the equations of the core at one point"
clock   = "years"

[uses]
inflammation = ["tnf_ratio"]
immunity = ["effector"]
beta_cells = ["glucotoxicity_factor", "killing"]
glycaemia = ["excess"]

[inputs]
immunosuppression = { default = "0", unit = "" }

[states]
cells = { start = "0 Mcell/kg", unit = "Mcell/kg" }
host  = { start = "0" }
vesicles_plasma = { start = "0" }
vesicles_tissue = { start = "0" }
vesicle_effect = { start = "0" }
anti_cd3 = { start = "0" }
suppressed = { start = "0" }
graft_young = { start = "0" }
graft = { start = "0" }

[parameters]
cell_loss = { value = "2.77 1/day", assumed = "check" }
priming = { value = "2.2 kg/Mcell/day", assumed = "check" }
unlicensed = { value = "0.3", assumed = "check" }
host_memory = { value = "90 day", assumed = "check" }
edge = { value = "0.1", assumed = "check" }
out = { value = "11.2 1/day", assumed = "check" }
away = { value = "71.4 1/day", assumed = "check" }
back = { value = "46.4 1/day", assumed = "check" }
vesicle_gain = { value = "0.25", assumed = "check" }
vesicle_memory = { value = "12 day", assumed = "check" }
anti_cd3_time = { value = "150 day", assumed = "check" }
lag = { value = "3 day", assumed = "check" }
maturing = { value = "0.0833333 1/day", assumed = "check" }
young_loss = { value = "0.01 1/day", assumed = "check" }
old_loss = { value = "0.0001 1/day", assumed = "check" }
toxic_loss = { value = "0.0008 1/day", assumed = "check" }
half_excess = { value = "60 mg/dL", assumed = "check" }
rejection = { value = "0.03 1/day", assumed = "check" }
potency = { value = "1.5", assumed = "check" }
antigenicity = { value = "0.5", assumed = "check" }

[quantities]
inflamed = "((inflammation.tnf_ratio - 1) + sqrt((inflammation.tnf_ratio - 1)**2 + edge**2)) / 2"
unmet = "1 / (1 + inflamed) * (1 - immunity.effector / (immunity.effector + 0.15))"
licence = "unlicensed + (1 - unlicensed) * (1 - unmet)"
quiet = "(1 - 0.12 * host) * (1 - 0.15 * vesicle_effect)"
allo = "rejection * (1 - 0.993 * suppressed)"
auto = "beta_cells.killing * immunity.effector * (1 - 0.3 * host)"

[rates]
cell_death = "cell_loss * cells"
re_programming = "priming * licence * cells * (1 - host)"
forgetting = "host / host_memory"
leaving = "out * vesicles_plasma"
spreading = "away * vesicles_plasma"
returning = "back * vesicles_tissue"
taking = "vesicle_gain * out * vesicles_plasma * (1 - vesicle_effect)"
wearing = "vesicle_effect / vesicle_memory"
waning = "anti_cd3 / anti_cd3_time"
suppressing = "(immunosuppression - suppressed) / lag"
maturation = "maturing * graft_young"
young_death = "(young_loss + allo + auto) * graft_young"
death = "(old_loss + toxic_loss * hill(glycaemia.excess, half_excess, 2) + allo + auto) * graft"

[balance]
cells = "-cell_death"
host = "re_programming - forgetting"
vesicles_plasma = "-leaving - spreading + returning"
vesicles_tissue = "spreading - returning"
vesicle_effect = "taking - wearing"
anti_cd3 = "-waning"
suppressed = "suppressing"
graft_young = "-maturation - young_death"
graft = "maturation - death"

[adds]
beta_cells.functional_mass = "potency * beta_cells.glucotoxicity_factor * graft"
immunity.antigen = "antigenicity * graft"
immunity.regulatory_source = "16 * host + 2 * anti_cd3"

[scales]
inflammation.resolution = "(1 + 0.6 * host) * (1 + 0.8 * vesicle_effect)"
inflammation.tnf_production = "quiet"
inflammation.il6_production = "quiet"
inflammation.il1b_production = "quiet"
inflammation.islet_il1b_production = "quiet"
inflammation.il10_production = "1 + 0.5 * host"
sensitivity.peripheral_target = "(1 + 0.14 * host) * (1 + 0.15 * vesicle_effect) * (1 - 0.12 * suppressed)"
sensitivity.hepatic_target = "(1 + 0.14 * host) * (1 + 0.15 * vesicle_effect) * (1 - 0.12 * suppressed)"
beta_cells.apoptosis_hazard = "(1 - 0.3 * host) * (1 - 0.5 * vesicle_effect)"
beta_cells.ferroptosis_hazard = "1 - 0.5 * vesicle_effect"
beta_cells.killing_hazard = "1 - 0.3 * host"
beta_cells.capacity = "1 - 0.1 * suppressed"
immunity.presentation = "1 - 0.75 * host"
immunity.effector_activation = "(1 - 0.9 * suppressed) * (1 - 0.55 * anti_cd3)"
immunity.effector_loss = "1 + 2 * 0.55 * anti_cd3"
immunity.memory_loss = "1 + 12 * host"
"""

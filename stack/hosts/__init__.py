"""What a deployment on plain hosts needs before Ansible can begin, and its rehearsal.

    make release     release.py    everything that a host needs but Debian's packages, as one archive with checksums
    site.yml         secrets.py    every secret once, on the control host
    make test-hosts  rehearsal.py  a host with systemd in a container, site.yml from nothing, and what has to hold then

Playbooks and roles are in `ansible/`; docs/ansible.md is for operators.
"""

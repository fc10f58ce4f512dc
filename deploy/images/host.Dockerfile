# A plain Debian server with systemd, ssh and an account for Ansible: no part of the product, but what its playbooks are tried on.
FROM debian:bookworm-slim
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends systemd systemd-sysv dbus openssh-server python3 python3-apt sudo ca-certificates \
 && rm -f /etc/ssh/ssh_host_* \
 && systemctl mask getty.target console-getty.service \
 && useradd --create-home --shell /bin/bash deploy \
 && echo 'deploy ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/deploy \
 && echo 'AuthorizedKeysFile /etc/ssh/deploy.pub' >/etc/ssh/sshd_config.d/deploy.conf \
 && echo 'StrictModes no' >>/etc/ssh/sshd_config.d/deploy.conf \
 && mkdir -p /etc/systemd/system/ssh.service.d \
 && printf '[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n' \
    >/etc/systemd/system/ssh.service.d/keys.conf
CMD ["/sbin/init"]
